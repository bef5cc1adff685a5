def search
  (1..100).each { |i| (1..100).each { |j| return [i, j] if i * j == 391 && i > 20 } }
  :none
end
p search
def outer; r = yield; [:outer, r] end
def inner; yield; :not_here end
p outer { inner { break :inner_left } }
500.times { |i| v = [i].each { |x| y = [x, "s#{x}"]; break y if i % 2 == 0 }; raise unless i % 2 == 1 ? v == [i] : v[0] == i }
p loop { break "left" }
e = [1, 2].each
begin
  3.times { e.next }
rescue StopIteration
  p :stop
end
pr = Proc.new { next 5; 6 }
p pr.call
orphan = -> { return 7 }
p orphan.call
def make; Proc.new { return 1 } end
begin
  make.call
rescue LocalJumpError => e
  p e.class
end
p [3, 4].each_with_index { |x, i| break [x, i] if i == 1 }, (1..Float::INFINITY).each { |x| break x if x * x > 500 }
