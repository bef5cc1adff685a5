class MyError < StandardError
  attr_reader :data
  def initialize(msg = "default", data = nil) super(msg); @data = data end
end
def thrower(n) n == 0 ? raise(MyError.new("deep", [1, 2, 3])) : thrower(n - 1) end
300.times do |i|
  begin
    thrower(i % 20)
  rescue MyError => e
    raise "wrong" unless e.data == [1, 2, 3] && e.message == "deep"
  end
end
begin; thrower(3); rescue => e; p e.class, e.message, e.data, e.is_a?(StandardError); end
begin; raise MyError; rescue MyError => e; p e.message; end
begin; raise "plain"; rescue => e; p e, e.inspect; end
begin; Integer("zz"); rescue ArgumentError => e; p e.class; end
begin; [].fetch(5); rescue IndexError => e; p e.class; end
begin; :sym.unknown; rescue NoMethodError => e; p e.name; end
def retrying
  tries = 0
  begin
    tries += 1
    raise "again" if tries < 4
    tries
  rescue
    retry
  end
end
p retrying
x = Integer("12") rescue 0
p x, (raise "a" rescue "rescued")
begin
  begin; raise "inner"; rescue => e; raise ArgumentError, "outer from #{e.message}"; end
rescue => e
  p e.message, e.class
end
def multi; yield; rescue TypeError, ZeroDivisionError => e; e.class; else; :fine; ensure; print "ensured "; end
p multi { 1 / 0 }, multi { [] + 1 }, multi { 1 }
