objects = (0...400).map { |i| o = Object.new; o.define_singleton_method(:id) { i }; o }
p objects.map(&:id).inject(:+), objects[7].singleton_methods
objects = objects.select { |o| o.id % 10 == 0 }
300.times { |i| c = Class.new { define_method(:x) { i } }; raise unless c.new.x == i }
p objects.size, objects.last.id
classes = (0...200).map { |i| Class.new(i > 0 && i % 5 == 0 ? String : Object) { attr_accessor :v; const_set(:N, i) } }
p classes.map { |c| c::N }.inject(:+)
x = classes[3].new
x.v = "value"
class << x
  def extra; v + "!" end
end
p x.extra, x.singleton_class.instance_methods(false)
