class Integer
  def even?; self % 2 == 0 end
  def odd?; self % 2 == 1 end
end
e = Enumerator.new { |y| 3.times { |i| y << "v#{i}" }; y.yield 1, 2 }
p e.to_a, e.next, e.next, e.peek, e.next, e.next
primes = Enumerator.new { |y| n = 2; loop { y << n if (2..Math.sqrt(n)).none? { |d| n % d == 0 }; n += 1 } }
p primes.first(15), primes.lazy.select(&:odd?).map { |x| x * 2 }.first(4)
a = [1, 2, 3].each
b = %w[a b c].each
out = []
loop { out << [a.next, b.next] }
p out
p [4, 5].each_with_index.to_a, "ab".each_char.with_index.map { |c, i| c * (i + 1) } rescue p $!.class
tree = [1, [2, [3, 4]], 5]
walk = ->(t, y) { t.is_a?(Array) ? t.each { |x| walk.call(x, y) } : y << t }
p Enumerator.new { |y| walk.call(tree, y) }.map { |x| x * x }
es = (0...30).map { |i| Enumerator.new { |y| loop { y << [i] } } }
p 5.times.map { es.map { |x| x.next[0] }.inject(:+) }
