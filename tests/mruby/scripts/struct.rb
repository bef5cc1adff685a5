Point = Struct.new(:x, :y) do
  def dist; Math.sqrt(x * x + y * y) end
end
ps = (0...1000).map { |i| Point.new(i, i.to_s) }
p ps[3], ps[999].y, Point.new(3, 4).dist, ps.size
ps.each { |q| q.y = [q.x] }
p ps[10], ps[10].to_a, ps[10] == Point.new(10, [10]), Point.members
a, b = *ps[5]
p a, b, ps[1][0], ps[1]["x"], ps[1][:y]
ps[2][:x] = :changed
p ps[2], ps[2].to_a, Point.new(1), ps.map(&:x).last
Pair = Struct.new(:left, :right)
deep = nil
500.times { |i| deep = Pair.new(deep, i) }
n = 0
(n += deep.right; deep = deep.left) while deep
p n
