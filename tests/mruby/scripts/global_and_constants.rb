$list = []
$table = {}
1000.times { |i| $list << "g#{i}"; $table["k#{i % 50}"] = [i] }
p $list.size, $table.size, $table["k7"], $list[-1], global_variables.include?(:$list)
300.times { |i| Object.const_set("Const#{i}", [i, "c#{i}"]) }
p Const0, Const299, Object.const_get(:Const77), Object.const_defined?(:Const300)
class Cfg
  @@all = {}
  @own = []
  class << self
    attr_accessor :own
    def set(k, v) @@all[k] = v end
    def get(k) @@all[k] end
  end
end
500.times { |i| Cfg.set("k#{i}", "v" * (i % 9)); Cfg.own << i.to_s }
p Cfg.get("k8"), Cfg.own.size, Cfg.class_variables
$list = nil
p $undefined_global, $list
