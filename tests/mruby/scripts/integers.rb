p 7 / 2, -7 / 2, 7 % 3, -7 % 3, 7.divmod(-2), 2**10, 5.succ
p 1 <=> 2, 3.between?(1, 5), 255.to_s(2), 1_000_000 * 1_000_000, 4611686018427387903, -4611686018427387904
p 4611686018427387904, 9223372036854775807, 4611686018427387903 + 1
big = (0...300).map { |i| 4611686018427387904 + i }
p big.inject(0) { |m, x| m ^ x }, big.uniq.size, big[7]
p 10.digits, 3.7.to_i, 3.7.round, -3.7.truncate, 12.34.floor, 5.fdiv(2) rescue p $!.class
p 6 & 3, 6 | 3, 6 ^ 3, ~6, 1 << 20, -1 >> 3, 10.clamp(1, 5) rescue p $!.class
begin; 9223372036854775807 + 1; rescue => e; p e.class; end
begin; 1 / 0; rescue ZeroDivisionError => e; p e.message; end
