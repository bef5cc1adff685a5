def each_twice(a) a.each { |x| yield x, x * 2 } end
out = []
each_twice([1, 2, 3]) { |x, y| out << [x, y] }
p out
def counter
  n = 0
  [-> { n += 1 }, -> { n }, ->(x) { n = x }]
end
cs = (0...300).map { counter }
cs.each_with_index { |c, i| i.times { c[0].call } if i < 20 }
p cs[7][1].call, cs[19][1].call, cs[0][1].call
cs[5][2].call("str")
p cs[5][1].call
def pass(&b) b end
bs = (0...500).map { |i| pass { |x = 5, *r| [i, x, r] } }
p bs[3].call, bs[4].call(1, 2, 3), bs[499].call(:a), bs[0].arity, bs[0].lambda?
def early; [1, 2, 3].each { |x| return x if x == 2 }; nil end
p early, [1, 2, 3].each { |x| break x * 10 if x == 2 }, [1, 2, 3].map { |x| next 0 if x == 2; x }
p (1..3).each_with_object({}) { |i, h| h[i] = lambda { |j| i + j } }.map { |k, l| l.call(k) }
