p [1, 2, 3].pack("C*"), [65, 66].pack("U*"), ["abc"].pack("A5"), [1].pack("N")
p "\x00\x00\x01\x00".unpack("N"), ["hello"].pack("m"), "aGVsbG8=".unpack("m")
100.times { |i| s = (0..i).to_a.pack("n*"); raise unless s.unpack("n*") == (0..i).to_a }
puts :done
