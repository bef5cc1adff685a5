a = Array.new(50_000) { |i| i.to_s }
p a.size, a[49_999], a[0], a.last(2)
10_000.times { |i| a[i * 5] = [i] }
p a[5], a[49_995], a[3]
a.concat(Array.new(10_000) { |i| [i, i.to_s] })
p a.size, a[59_999]
b = a.dup
a.clear
p a.size, b.size, b[55_000]
c = b.select { |x| x.is_a?(Array) && x.size == 1 }.map(&:first)
p c.size, c.inject(:+)
