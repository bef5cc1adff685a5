add = ->(a, b) { a + b }
p add.curry[1][2], add.(3, 4), add[5, 6], add.arity, add.lambda? rescue p $!.class
compose = ->(f, g) { ->(x) { f.call(g.call(x)) } }
inc = ->(x) { x + 1 }
f = (0...200).inject(->(x) { x }) { |m, _| compose.call(inc, m) }
p f.call(0), f.call(100)
p %w[a b].map(&:upcase), [1, 2].map(&10.method(:+)) rescue p $!.class
m = "str".method(:+)
p m.call("ing"), m.arity, m.owner
u = Array.instance_method(:size)
p u.bind([1, 2, 3]).call
begin; add.call(1); rescue ArgumentError => e; puts e.message; end
gen = Proc.new { |x, y| [x, y] }
p gen.call(1), gen.call([1, 2]), gen.call(1, 2, 3)
def meth(a, b = 2, *c, d, k: 5, **o, &blk) [a, b, c, d, k, o, blk && blk.call] end
p meth(1, 9), meth(1, 2, 3, 4, k: 6, z: 7) { :blk }
memo = Hash.new { |h, n| h[n] = ->() { n * 2 } }
p (0...100).map { |i| memo[i % 10].call }.inject(:+)
