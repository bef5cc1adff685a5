module Countable
  def self.included(base) base.extend(ClassMethods) end
  module ClassMethods
    def made; @made ||= [] end
  end
  def register; self.class.made << self; self end
end
module Loud
  def say(x) super(x.upcase) + "!" end
end
class Talker
  include Countable
  def say(x) "I say #{x}" end
  prepend Loud
end
t = (0...300).map { Talker.new.register }
p Talker.made.size, t[0].say("hi"), Talker.ancestors.first(3), Talker.include?(Countable)
o = Object.new
o.extend(Loud) rescue nil
def o.say(x) x * 2 end
p o.singleton_methods.include?(:say), (o.say("a") rescue $!.class)
module Util
  module_function
  def twice(x) x * 2 end
end
p Comparable.instance_methods.size > 3
class V
  include Comparable
  attr_reader :v
  def initialize(v) @v = v end
  def <=>(o) @v <=> o.v end
end
p [3, 1, 2].map { |x| V.new(x) }.sort.map(&:v), V.new(1) < V.new(2), V.new(5).clamp(V.new(1), V.new(3)).v
