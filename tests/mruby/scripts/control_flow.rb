class Integer
  def even?; self % 2 == 0 end
  def odd?; self % 2 == 1 end
end
r = []
i = 0
while i < 50
  i += 1
  next if i % 3 == 0
  break if i > 40
  r << i
end
until i <= 0 do i -= 7 end
begin; i += 1; end while i < 5
p r, i
for x in 1..5 do r << x * 100 end
for a, b in [[1, 2], [3, 4]] do r << a + b end
p r.size, x, r.last
5.downto(1) { |k| r << k }
1.step(10, 4) { |k| r << k }
p r.last(8)
def grade(n) case n when 90.. then :a when 80...90 then :b when Integer then :c when /x/ then :r else :d end rescue :none end
p grade(95), grade(85), grade(3)
def kind(x) case x when String, Symbol then "s" when Array then "a#{x.size}" when nil then "n" when ->(y) { y.respond_to?(:each) } then "e" else "?" end end
p [:a, "b", [1, 2], nil, {}, 5].map { |x| kind(x) }
p (1..3).reduce(:*), [[1, :a], [2, :b]].each_with_object({}) { |(n, s), h| h[s] = n }
BEGIN_DONE = begin; 5; ensure; 6; end
p BEGIN_DONE, __FILE__.class
1000.times { |k| z = k > 500 ? [k] : {k => 1}; z = nil if k == 3 }
p [1, 2, 3, 4].each_slice(2).map { |q, w| q * w }, 10.times.select(&:even?), loop { break 3 }
