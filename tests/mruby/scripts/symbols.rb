a = (0...2000).map { |i| "sym_#{i}".to_sym }
p a.uniq.size, a[1999], :abc.to_proc.call("x") rescue p a[1999]
p :a <=> :b, :abc.size, :abc == "abc".to_sym, :"odd name", :[]=, %w[x y].map(&:to_sym)
h = {}
a.each_with_index { |s, i| h[s] = i }
p h[:sym_77], h.size
p a.map(&:to_s).map(&:intern) == a
class Dyn; end
200.times { |i| Dyn.define_method("m#{i}") { i * 2 } } if Dyn.respond_to?(:define_method)
Dyn.class_eval { 200.times { |i| define_method("n#{i}") { i * 3 } } }
d = Dyn.new
p d.n100, d.respond_to?(:n199), d.send(:n7)
