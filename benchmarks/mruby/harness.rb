# Loaded before each program, by `mruby -r`: options, pauses, and the record that a program ends with.
module Harness
  @began = Time.now.to_f
  @looked = @began
  @longest = 0.0
  @options = {}
  ARGV.each { |word| name, value = word.split("=", 2); @options[name] = value }

  class << self
    # NAME=VALUE of the command line; a number if `default` is one.
    def option(name, default)
      value = @options[name]
      value.nil? ? default : default.is_a?(Integer) ? value.to_i : value
    end

    # Between two calls the program does the same little work each time: what takes longer, took the
    # collector, or the system.
    def begin_pauses
      @looked = Time.now.to_f
    end

    def look
      now = Time.now.to_f
      gap = now - @looked
      @longest = gap if gap > @longest
      @looked = now
    end

    def peak_rss_kib
      File.open("/proc/self/status") { |f| f.read }.split("VmHWM:")[1].to_i
    end

    def record(checksum)
      seconds = Time.now.to_f - @began
      figures = {"checksum" => checksum.to_s, "seconds" => seconds, "longest_gap" => @longest,
                 "peak_rss_kib" => peak_rss_kib}
      GC.stat.each { |name, value| figures["gc_#{name}"] = value } if GC.respond_to?(:stat)
      puts "{" + figures.map { |name, value| "#{name.inspect}: #{value.inspect}" }.join(", ") + "}"
    end
  end
end

# The same numbers everywhere.
class Sequence
  def initialize(seed) @state = seed end

  def below(n)
    @state = (@state * 1_103_515_245 + 12_345) % 2_147_483_648
    (@state >> 8) % n
  end
end
