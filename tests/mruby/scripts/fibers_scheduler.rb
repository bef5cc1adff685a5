class Scheduler
  def initialize; @ready = []; @log = [] end
  attr_reader :log
  def spawn(name, &work) @ready << [name, Fiber.new(&work)] end
  def run
    until @ready.empty?
      name, fiber = @ready.shift
      value = fiber.resume(name)
      @log << "#{name}:#{value}" if @log.size < 60
      @ready << [name, fiber] if fiber.alive?
    end
  end
end
s = Scheduler.new
20.times do |i|
  s.spawn("t#{i}") do |name|
    data = []
    (i % 5 + 1).times { |k| data << "#{name}-#{k}" * 3; Fiber.yield data.size }
    data.join.size
  end
end
s.run
puts s.log.join(" ")
