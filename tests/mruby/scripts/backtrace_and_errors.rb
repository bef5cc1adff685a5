def a; b end
def b; c end
def c; raise "deep" end
begin
  a
rescue => e
  p e.backtrace.class, e.backtrace.size >= 3, e.message
end
errors = (0...300).map { |i| begin; raise ArgumentError, "e#{i}"; rescue => e; e; end }
p errors.size, errors[200].message, errors.map(&:class).uniq
errors.each { |e| e.instance_variable_set(:@extra, [e.message]) }
p errors[5].instance_variable_get(:@extra)
begin; raise Class.new(StandardError), "anon"; rescue => e; p e.message; end
begin; def kw(a:) a end; kw; rescue ArgumentError => e; p e.class; end
begin; "x" + 1; rescue TypeError => e; p e.class; end
begin; Object.const_get(:Missing); rescue NameError => e; p e.name; end
begin; raise Exception, "top"; rescue Exception => e; p e.message; end
