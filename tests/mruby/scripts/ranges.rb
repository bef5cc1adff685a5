class Integer
  def even?; self % 2 == 0 end
  def odd?; self % 2 == 1 end
end
p (1..10).to_a, (1...10).size, (1..10).include?(5), ("a".."e").to_a, 1.step(10, 3).to_a
p (1..Float::INFINITY).lazy.map { |x| x * 2 }.select { |x| x % 3 == 0 }.first(4)
r = (1..1000)
p r.inject(:+), r.select(&:even?).size, r.each_slice(300).map(&:size), r.first(3), r.last(2), r.minmax
a = (0...500).map { |i| (i..i + 5) }
p a.map { |x| x.to_a.inject(:+) }.inject(:+), a[7], a[7].first, a[7] == (7..12), (1..3).hash == (1..3).hash
p (1..), (1..nil).first(2), ("a"..."d").include?("c"), 5.clamp(1, 3), [1, 2, 3, 4][1..], "hello"[1..3]
case 42 when 1..10 then p :low when 11..50 then p :mid end
