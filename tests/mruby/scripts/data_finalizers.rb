class Integer
  def even?; self % 2 == 0 end
  def odd?; self % 2 == 1 end
end
name = "/tmp/weir-mruby-fd-#{Time.now.to_f.to_s.sub(".", "")}"
File.open(name, "w") { |f| f.write("x") }
2000.times do |i|
  File.open(name)
  GC.start if i % 500 == 499
end
p File.open(name) { |f| f.read }
fs = (0...20).map { File.open(name) }
fs.each_with_index { |f, i| f.close if i.odd? }
p fs.map(&:closed?)
fs = nil
r, w = IO.pipe
w.write("through a pipe"); w.close
p r.read
File.delete(name)
