# A town: its people, shops and streets are old, and all of them are written in every step.
class Person
  attr_accessor :place, :friend, :mood, :purse, :errand

  def initialize(id)
    @id = id
    @mood = 0.5
    @purse = 100
    @diary = Array.new(8)
    @entries = 0
  end

  def note(what, other)
    @diary[@entries % 8] = [what, @entries, other]
    @entries += 1
  end

  def sum
    @purse * 31 + @entries * 7 + @diary.inject(0) { |s, note| note ? s + note[1] : s }
  end
end

class Place
  attr_reader :queue
  attr_accessor :stock, :last_visit

  def initialize(id)
    @id = id
    @stock = {}
    @queue = []
  end
end

random = Sequence.new(99)
people = (0...Harness.option("people", 30_000)).map { |i| Person.new(i) }
places = (0...2000).map { |i| Place.new(i) }
people.each { |p| p.place = places[random.below(2000)] }
Harness.option("steps", 25).times do |step|
  people.each do |person|
    place = places[random.below(2000)]
    person.place = place
    place.queue.push(person)
    place.last_visit = [step, person]
    kind = random.below(40)
    left = place.stock[kind] || 20
    if left > 0 && person.purse > 0
      place.stock[kind] = left - 1
      person.purse -= 1
      person.note("bought", kind)
    else
      place.stock[kind] = 20
      person.purse += 3
      person.note("worked", person.friend)
    end
    person.mood = person.mood * 0.9 + 0.01 * kind
    person.errand = {place: place, kind: kind}
  end
  places.each do |place|
    queue = place.queue
    queue.each_with_index { |person, i| person.friend = queue[i - 1] if i > 0 }
    queue.clear
  end
end
Harness.record([people.inject(0) { |s, p| (s + p.sum) % 1_000_007 }, places.size].inspect)
