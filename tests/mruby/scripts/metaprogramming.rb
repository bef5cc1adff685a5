class Model
  def self.field(name, default = nil)
    define_method(name) { instance_variable_get("@#{name}") || default }
    define_method("#{name}=") { |v| instance_variable_set("@#{name}", v); (@changed ||= []) << name }
  end
  30.times { |i| field "f#{i}", i }
  attr_reader :changed
end
ms = (0...100).map { |i| m = Model.new; m.send("f#{i % 30}=", "v#{i}"); m }
p ms[31].f1, ms[31].f2, ms[31].changed, Model.instance_methods(false).size
class Model
  alias_method :first, :f0
  undef_method :f29
  remove_method :f28
end
p ms[0].first, ms[0].respond_to?(:f29), ms[0].respond_to?(:f28)
p Model.method_defined?(:f3), ms[3].method(:f3).call, ms[3].public_send(:f4) rescue p $!.class
p ms[0].frozen?, "lit".frozen?, :s.frozen?, [1].freeze.frozen?
begin; [1].freeze << 2; rescue => e; p e.class; end
begin; "x".freeze << "y"; rescue => e; p e.class; end
p ObjectSpace.respond_to?(:each_object), Kernel.respond_to?(:puts), 5.instance_of?(Integer)
k = Class.new(Model) { def f0; super.to_s + "!" end }
p k.new.f0, k.name, k.superclass
