def generate(v)
  case v
  when Hash then "{" + v.map { |k, x| "\"#{k}\":#{generate(x)}" }.join(",") + "}"
  when Array then "[" + v.map { |x| generate(x) }.join(",") + "]"
  when String then v.inspect
  when nil then "null"
  else v.to_s
  end
end
class Parser
  def initialize(s) @s, @i = s, 0 end
  def value
    case c = @s[@i]
    when "{" then object
    when "[" then array
    when "\"" then string
    when "n" then @i += 4; nil
    when "t" then @i += 4; true
    when "f" then @i += 5; false
    else number
    end
  end
  def object
    h = {}
    @i += 1
    until @s[@i] == "}"
      k = string
      @i += 1
      h[k] = value
      @i += 1 if @s[@i] == ","
    end
    @i += 1
    h
  end
  def array
    a = []
    @i += 1
    until @s[@i] == "]"
      a << value
      @i += 1 if @s[@i] == ","
    end
    @i += 1
    a
  end
  def string; j = @s.index("\"", @i + 1); r = @s[@i + 1...j]; @i = j + 1; r end
  def number
    j = @i
    j += 1 while j < @s.size && "0123456789.-e+".include?(@s[j])
    t = @s[@i...j]
    @i = j
    t.include?(".") ? t.to_f : t.to_i
  end
end
doc = {"list" => (0...60).map { |i| {"id" => i, "name" => "n#{i}", "tags" => ["a#{i}", nil, true, 1.5 * i]} }, "deep" => {"x" => {"y" => [[], {}]}}}
text = generate(doc)
back = Parser.new(text).value
p text.size, back == doc, back["list"][7], generate(back) == text
