class Animal
  attr_accessor :name, :friends
  @@count = 0
  KINDS = []
  def initialize(name) @name = name; @friends = []; @@count += 1 end
  def self.count; @@count end
  def speak; "..." end
  def to_s; "#{self.class} #{@name}: #{speak}" end
  def self.inherited(sub) KINDS << sub.name.to_s; super end
end
class Dog < Animal
  def speak; super + "woof" end
end
class Puppy < Dog
  def initialize(name, age = 1) super(name); @age = age end
  def speak; super.upcase + @age.to_s end
end
all = (0...500).map { |i| [Animal, Dog, Puppy][i % 3].new("n#{i}") }
all.each_cons(2) { |a, b| a.friends << b; b.friends << a }
puts all.last, all[2], all[0], Animal.count, all[250].friends.map(&:name).inspect
p Puppy.ancestors.first(3), Puppy.superclass, Dog.instance_methods(false), all[2].instance_variables
p all[2].is_a?(Dog), all[0].is_a?(Dog), Dog === all[5], all[1].respond_to?(:speak), Puppy.instance_method(:speak).class
