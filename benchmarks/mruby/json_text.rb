# A parser and a generator of JSON: bytes are looked at in place, what is found becomes objects.
class JsonParser
  def initialize(text)
    @text = text
    @at = 0
  end

  def value
    skip
    case @text.getbyte(@at)
    when 123 then object
    when 91 then array
    when 34 then string
    when 110 then word(4, nil)
    when 116 then word(4, true)
    when 102 then word(5, false)
    else number
    end
  end

  private

  def skip
    text = @text
    at = @at
    at += 1 while (byte = text.getbyte(at)) && byte <= 32
    @at = at
  end

  # True: another one follows.
  def more(closing)
    skip
    byte = @text.getbyte(@at)
    @at += 1
    return true if byte == 44
    raise "#{@at}: no comma" if byte != closing
    false
  end

  def object
    made = {}
    @at += 1
    skip
    if @text.getbyte(@at) == 125
      @at += 1
      return made
    end
    loop do
      skip
      key = string
      skip
      @at += 1
      made[key] = value
      return made unless more(125)
    end
  end

  def array
    made = []
    @at += 1
    skip
    if @text.getbyte(@at) == 93
      @at += 1
      return made
    end
    loop do
      made << value
      return made unless more(93)
    end
  end

  def string
    first = @at + 1
    @at = @text.index("\"", first) + 1
    @text.byteslice(first, @at - 1 - first)
  end

  def word(size, meaning)
    @at += size
    meaning
  end

  def number
    text = @text
    at = first = @at
    at += 1 while (byte = text.getbyte(at)) && (byte >= 48 && byte <= 57 || byte == 43 || byte == 45 || byte == 46 || byte == 101)
    @at = at
    digits = text.byteslice(first, at - first)
    digits.index(".") ? digits.to_f : digits.to_i
  end
end

class JsonGenerator
  attr_reader :text

  def initialize
    @text = ""
  end

  def put(value)
    case value
    when Hash
      @text << "{"
      first = true
      value.each do |key, held|
        @text << ", " unless first
        first = false
        @text << "\"" << key << "\": "
        put(held)
      end
      @text << "}"
    when Array
      @text << "["
      value.each_with_index do |held, i|
        @text << ", " if i != 0
        put(held)
      end
      @text << "]"
    when String then @text << "\"" << value << "\""
    when nil then @text << "null"
    else @text << value.to_s
    end
    self
  end
end
