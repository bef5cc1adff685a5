name = "/tmp/weir-mruby-test-#{$$ rescue 0}-#{Time.now.to_f.to_s.sub(".", "")}"
File.open(name, "w") { |f| 200.times { |i| f.puts "line #{i}" }; f.print "a", 1, :b, nil, "\n" }
File.open(name) { |f| p f.gets, f.read.size, f.eof? }
p File.read(name).split("\n").size, File.exist?(name), File.size(name)
n = 0
File.open(name).each_line { |l| n += l.size }
p n
100.times { File.open(name) }
GC.start
p File.open(name) { |f| f.seek(5); f.read(2) }
File.open(name, "a") { |f| f.write("tail") }
p File.read(name)[-4, 4]
File.delete(name)
p File.exist?(name)
begin; File.open("/nonexistent/file"); rescue => e; p e.class; end
$stdout.puts "out"
$stdout.write("w\n")
STDOUT.print "x", "y", "\n"
puts [1, [2, [nil, 3]]], nil, true
print "no newline", "\n"
p
p 1, 2
