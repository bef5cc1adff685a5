class Point
  attr_reader :x, :y
  def initialize(x, y) @x, @y = x, y end
  def hash; @x * 31 + @y end
  def eql?(other) other.is_a?(Point) && @x == other.x && @y == other.y end
  def ==(other) eql?(other) end
end
h = {}
60.times { |x| 60.times { |y| h[Point.new(x, y)] = [x, y] } }
p h.size, h[Point.new(3, 4)], h[Point.new(59, 59)], h[Point.new(60, 0)]
h.delete(Point.new(3, 4))
p h[Point.new(3, 4)], h.size
k = {[1, 2] => :a, {q: 1} => :b, "s" => :c}
p k[[1, 2]], k[{q: 1}], k["s"]
