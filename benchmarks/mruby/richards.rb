# Martin Richards' simulation of an operating system's kernel: tasks, queues of packets, states.
class Packet
  attr_accessor :link, :id, :kind, :datum
  attr_reader :data

  def initialize(link, id, kind)
    @link, @id, @kind = link, id, kind
    @datum = 0
    @data = Array.new(4, 0)
  end

  def append_to(queue)
    @link = nil
    return self if queue.nil?
    last = queue
    last = last.link while last.link
    last.link = self
    queue
  end
end

class Task
  attr_reader :link, :id, :priority, :held, :waiting
  attr_accessor :queue

  def initialize(kernel, link, id, priority, queue)
    @kernel, @link, @id, @priority, @queue = kernel, link, id, priority, queue
    @held = false
    @waiting = false
    @pending = !queue.nil?
  end

  def wait; @waiting = true; self end
  def hold; @held = true end
  def release; @held = false end
  def start; @waiting = false; @pending = false; self end
  def blocked?; @held || (@waiting && !@pending) end

  def take
    return nil unless @waiting && @pending
    packet = @queue
    @queue = packet.link
    @waiting = false
    @pending = !@queue.nil?
    packet
  end

  def accept(task, packet)
    if @queue.nil?
      @queue = packet
      @pending = true
      return self if @priority > task.priority
    else
      packet.append_to(@queue)
    end
    task
  end
end

class IdleTask < Task
  def initialize(kernel, link, count)
    super(kernel, link, 0, 0, nil)
    @seed = 1
    @count = count
  end

  def run(_packet)
    @count -= 1
    return @kernel.hold_current if @count == 0
    if @seed & 1 == 0
      @seed >>= 1
      @kernel.release(4)
    else
      @seed = (@seed >> 1) ^ 0xd008
      @kernel.release(5)
    end
  end
end

class Worker < Task
  def initialize(*all)
    super
    @handler = 2
    @letter = 0
  end

  def run(packet)
    return @kernel.wait_current if packet.nil?
    @handler = 5 - @handler
    packet.id = @handler
    packet.datum = 0
    4.times do |i|
      @letter = @letter % 26 + 1
      packet.data[i] = 64 + @letter
    end
    @kernel.send_packet(packet)
  end
end

class Handler < Task
  def run(packet)
    packet.kind == 1 ? @work = packet.append_to(@work) : @devices = packet.append_to(@devices) if packet
    return @kernel.wait_current unless @work
    count = @work.datum
    if count >= 4
      done = @work
      @work = done.link
      return @kernel.send_packet(done)
    end
    return @kernel.wait_current unless @devices
    device = @devices
    @devices = device.link
    device.datum = @work.data[count]
    @work.datum = count + 1
    @kernel.send_packet(device)
  end
end

class Device < Task
  def run(packet)
    if packet
      @kept = packet
      return @kernel.hold_current
    end
    return @kernel.wait_current unless @kept
    packet = @kept
    @kept = nil
    @kernel.send_packet(packet)
  end
end

class Kernel_
  attr_reader :sent, :holds

  def initialize
    @tasks = Array.new(6)
    @sent = 0
    @holds = 0
  end

  def add(task)
    @first = @tasks[task.id] = task
  end

  def schedule
    @current = @first
    while @current
      if @current.blocked?
        @current = @current.link
      else
        packet = @current.take
        @current = @current.run(packet)
      end
    end
  end

  def release(id)
    task = @tasks[id]
    task.release
    task.priority > @current.priority ? task : @current
  end

  def hold_current
    @holds += 1
    @current.hold
    @current.link
  end

  def wait_current; @current.wait end

  def send_packet(packet)
    @sent += 1
    task = @tasks[packet.id]
    packet.link = nil
    packet.id = @current.id
    task.accept(@current, packet)
  end

  def last; @first end
end

def packets(id, kind, count)
  queue = nil
  count.times { queue = Packet.new(queue, id, kind) }
  queue
end

sent = holds = 0
Harness.option("runs", 10).times do
  kernel = Kernel_.new
  kernel.add(IdleTask.new(kernel, nil, 10_000).start)
  kernel.add(Worker.new(kernel, kernel.last, 1, 1000, packets(1, 1, 2)).wait)
  kernel.add(Handler.new(kernel, kernel.last, 2, 2000, packets(4, 0, 3)).wait)
  kernel.add(Handler.new(kernel, kernel.last, 3, 3000, packets(5, 0, 3)).wait)
  kernel.add(Device.new(kernel, kernel.last, 4, 4000, nil).wait)
  kernel.add(Device.new(kernel, kernel.last, 5, 5000, nil).wait)
  kernel.schedule
  sent += kernel.sent
  holds += kernel.holds
end
Harness.record([sent, holds].inspect)
