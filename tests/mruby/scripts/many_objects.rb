class Cell; attr_accessor :v, :n; def initialize(v, n) @v, @n = v, n end end
head = nil
15_000.times { |i| head = Cell.new(i, i % 100 == 0 ? nil : head) }
n, c = 0, head
(n += c.v; c = c.n) while c
p n
table = Array.new(1000)
30_000.times { |i| table[i * 7919 % 1000] = Cell.new([i], table[i % 1000] && table[i % 1000].v) }
p table.compact.size, table[0].v, table[999].v, table.map { |x| x.v[0] }.max
