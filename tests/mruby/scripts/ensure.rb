log = []
def work(log, how)
  log << "begin"
  case how
  when :raise then raise "x"
  when :return then return :returned
  when :break then [1].each { |x| break x }
  end
  :normal
ensure
  log << "ensure #{how} #{"y" * 30}"
end
p work(log, :normal), work(log, :return), work(log, :break)
begin; work(log, :raise); rescue => e; p e.message; end
p log
def nested
  yield
ensure
  begin
    raise "in ensure"
  rescue => e
    print e.message, " "
  ensure
    puts "innermost"
  end
end
nested { puts "body" }
begin; nested { raise "body" }; rescue => e; p e.message; end
r = [1, 2, 3].each do |x|
  begin
    next if x == 1
    break x * 100 if x == 2
  ensure
    print "e#{x} "
  end
end
p r
200.times { |i| begin; a = [i] * 50; raise a.size.to_s; rescue => e; a = e.message; ensure; a = nil; end }
def value; 1; ensure; 2; end
p value
