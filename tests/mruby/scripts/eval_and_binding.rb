x = 10
p eval("x + 5"), eval("[x, x * 2].map { |v| v + 1 }")
200.times { |i| raise unless eval("#{i} * 2 + x") == i * 2 + 10 }
p instance_eval { self.class }, "abc".instance_eval { size }
o = Object.new
o.instance_eval { @secret = [1, 2, 3] }
p o.instance_variable_get(:@secret), o.instance_exec(4) { |y| @secret + [y] }
100.times { |i| eval("def gen_#{i}(a) a.to_s + '#{i}' end") }
p gen_7("x"), gen_99(1)
Object.class_eval { def patched; "patched #{self.class}" end }
p 5.patched, nil.patched
ls = (0...50).map { |i| eval("->(y) { y + #{i} }") }
p ls.map { |l| l.call(1) }.inject(:+)
begin; eval("1 +"); rescue SyntaxError => e; p e.class; end
