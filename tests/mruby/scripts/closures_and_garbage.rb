makers = []
1000.times do |i|
  big = "x" * 100 + i.to_s
  other = [i] * 10
  makers << lambda { |n| n == 0 ? big.size : other.inject(:+) + n }
end
p makers.map { |m| m.call(0) }.inject(:+), makers[999].call(1), makers[0].call(5)
makers = makers.each_slice(10).map(&:first)
p makers.size, makers.last.call(2)
x = 10
change = -> { x = x.to_s + "!" }
3.times { change.call }
p x
acc = []
5.times { |i| acc << binding.local_variable_get(:i) } rescue 5.times { |i| acc << i }
p acc
nest = ->(d) { d == 0 ? [] : [nest.call(d - 1), d] }
p nest.call(6)
