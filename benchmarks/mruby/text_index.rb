# Which word stands where in a large text: word -> positions.
class TextIndex
  attr_reader :words, :positions

  def initialize
    @positions = {}
    @words = 0
  end

  def add(text)
    text.split("\n").each do |line|
      line.split(" ").each do |word|
        (@positions[word] ||= []) << @words
        @words += 1
      end
    end
    self
  end

  def most_frequent(count)
    @positions.sort_by { |word, places| [-places.size, word] }.first(count)
  end
end
