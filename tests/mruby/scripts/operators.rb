class Vec
  attr_reader :x, :y
  def initialize(x, y) @x, @y = x, y end
  def +(o) Vec.new(@x + o.x, @y + o.y) end
  def -(o) Vec.new(@x - o.x, @y - o.y) end
  def *(k) k.is_a?(Vec) ? @x * k.x + @y * k.y : Vec.new(@x * k, @y * k) end
  def -@; Vec.new(-@x, -@y) end
  def [](i) i == 0 ? @x : @y end
  def []=(i, v) i == 0 ? @x = v : @y = v end
  def ==(o) o.is_a?(Vec) && @x == o.x && @y == o.y end
  def to_s; "(#{@x}, #{@y})" end
  def coerce(o) [Vec.new(o, o), self] end
  def call(z) "called #{z}" end
  def to_proc; ->(a) { a * @x } end
  def !; "not" end
  def =~(o) "match #{o}" end
  def <<(o) @x = o; self end
end
v = (0...800).inject(Vec.new(0, 0)) { |m, i| m + Vec.new(i, -i) * 2 }
puts v, -v, v * Vec.new(1, 1), v[0], v == Vec.new(639200, -639200), v.(3), [1, 2].map(&Vec.new(5, 0)).inspect, !v
v[1] = "y"
v[0] += 1
v << 4 << 5
puts v
a = nil
a ||= [1]
a &&= a + [2]
a += [3]
b = (a[5] ||= "filled")
p a, b, a&.size, nil&.size, (not true), (true and false), 5 <=> "x", [1, 2] <=> [1, 3], 1.equal?(1)
