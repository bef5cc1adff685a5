def forever(n) forever(n + 1) end
begin
  forever(0)
rescue SystemStackError => e
  p e.class
end
def grow(a) grow(a + [1]) end
begin; eval("[" * 200 + "]" * 200); p :parsed; rescue SyntaxError, StandardError, ScriptError => e; p e.class; end
b = ->(n) { n == 0 ? 0 : 1 + b.call(n - 1) }
p b.call(60)
3.times { begin; forever(0); rescue SystemStackError; print "again "; end }
puts
p (1..3).map { |x| x }
