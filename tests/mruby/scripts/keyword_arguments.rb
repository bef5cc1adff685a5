def f(a, b = a * 2, *rest, k: 1, r:, **opts, &blk) [a, b, rest, k, r, opts, blk ? blk.call : nil] end
p f(1, r: 2), f(1, 2, 3, 4, r: 5, k: 6, z: 7) { :b }, f("s", r: nil, "q": 1)
begin; f(1); rescue ArgumentError => e; puts e.class; end
begin; f; rescue ArgumentError => e; puts e.class; end
opts = {r: 1, k: 2}
400.times { |i| raise unless f(i, **opts, x: i)[5][:x] == i }
args = [1, 2, 3]
p f(*args, r: 0), f(*args, *args, **opts)
def g(*a, **k) [a, k] end
p g, g(1), g(a: 1), g(1, {b: 2}), g(*[], **{})
def opt(h = {}) h.merge({d: 1}) end
p opt, opt({c: 2}), opt(c: 3)
l = ->(x, y: 10) { x + y }
p l.call(1), l.call(1, y: 2), l.parameters rescue p $!.class
def sp(a, *, b) [a, b] end
p sp(1, 2), sp(1, 2, 3, 4)
def delegate(...) g(...) end rescue nil
p (delegate(1, z: 2) rescue "no")
