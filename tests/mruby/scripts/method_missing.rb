class Ghost
  def initialize; @calls = [] end
  def method_missing(name, *args, &block)
    if name.to_s.start_with?("get_")
      @calls << [name, args]
      block ? block.call(*args) : "#{name}:#{args.inspect}"
    else
      super
    end
  end
  def respond_to_missing?(name, all = false) name.to_s.start_with?("get_") end
  attr_reader :calls
end
g = Ghost.new
p g.get_it(1, "two"), g.get_block(3) { |x| x * 2 }, g.respond_to?(:get_anything), g.respond_to?(:other)
begin; g.unknown(1); rescue NoMethodError => e; p e.class, e.name, e.args; end
500.times { |i| g.get_many(i, [i]) }
p g.calls.size, g.calls.last, g.calls[100]
begin; nil.nothing; rescue NoMethodError => e; puts e.message; end
begin; undefined_thing; rescue NameError => e; puts e.class; end
