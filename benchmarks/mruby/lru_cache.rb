# A cache: a table, and a list that is linked anew at each hit. Old objects are written all the time.
class Entry
  attr_accessor :key, :value, :newer, :older
end

class Cache
  attr_reader :hits, :size

  def initialize(room)
    @room = room
    @table = {}
    @size = 0
    @hits = 0
    @ends = Entry.new
    @ends.newer = @ends.older = @ends
  end

  def get(key)
    entry = @table[key]
    if entry
      @hits += 1
      unlink(entry)
    else
      entry = make_room
      entry.key = key
      entry.value = "value of #{key}"
      @table[key] = entry
    end
    link(entry)
    entry.value
  end

  private

  def make_room
    if @size < @room
      @size += 1
      return Entry.new
    end
    oldest = @ends.newer
    unlink(oldest)
    @table.delete(oldest.key)
    Entry.new
  end

  def unlink(entry)
    entry.older.newer = entry.newer
    entry.newer.older = entry.older
  end

  def link(entry)
    newest = @ends.older
    newest.newer = entry
    entry.older = newest
    entry.newer = @ends
    @ends.older = entry
  end
end

random = Sequence.new(17)
cache = Cache.new(Harness.option("entries", 50_000))
keys = Harness.option("entries", 50_000) * 3
sum = 0
Harness.option("gets", 1_200_000).times do
  key = random.below(4) == 0 ? random.below(keys) : random.below(keys / 4)
  sum += cache.get(key).size
end
Harness.record([sum, cache.hits, cache.size].inspect)
