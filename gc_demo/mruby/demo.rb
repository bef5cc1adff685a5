# A Ruby program on Weir: a library whose books are lent all the time, and what the collector did meanwhile.
class Book
  attr_reader :title
  attr_accessor :reader, :lent

  def initialize(title)
    @title = title
    @lent = 0
  end
end

class Reader
  attr_reader :name, :shelf

  def initialize(name)
    @name = name
    @shelf = []
  end

  def borrow(book, day)
    book.reader = self        # old objects are written: no barrier but the MMU
    book.lent += 1
    @shelf << [book, "day #{day}"]
    @shelf.shift.first.reader = nil if @shelf.size > 3
  end
end

books = (0...40_000).map { |i| Book.new("book no. #{i}") }
readers = (0...500).map { |i| Reader.new("reader #{i}") }
visits = Fiber.new do
  state = 7
  loop do
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    Fiber.yield [readers[(state >> 8) % 500], books[(state >> 12) % 40_000]]
  end
end
400.times do |day|
  300.times do
    reader, book = visits.resume
    reader.borrow(book, day)
  end
end
best = books.sort_by { |book| [-book.lent, book.title] }.first
lent = books.select(&:reader).size
puts "#{books.size} books, #{lent} of them lent now; #{best.title} was lent #{best.lent} times"

if GC.respond_to?(:stat)
  stat = GC.stat
  ms = ->(key) { (stat[key] / 10_000) / 100.0 }
  puts "#{stat[:count]} collections, #{stat[:major_gc_count]} of them full, barrier #{stat[:barrier]}: " \
       "#{ms.call(:time_ns)} ms, the longest #{ms.call(:pause_ns_max)} ms"
  puts "#{stat[:allocated_bytes] >> 20} MiB allocated, #{stat[:live_bytes] >> 20} MiB live; of the last one, " \
       "#{stat[:pages_armed]} pages armed, #{stat[:pages_dirty]} written, #{stat[:pages_hot]} not worth arming"
end
