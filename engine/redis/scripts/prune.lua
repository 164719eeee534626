-- Drops entries of a group whose lease has ended. ARGV: member and owner, and
-- the lease, of each.

local dropped = 0
for i = 1, #ARGV, 2 do
  local entry = redis.call('HGET', KEYS[1], ARGV[i])
  if entry and string.sub(entry, 1, 8) == ARGV[i + 1] and struct.unpack('>I6', entry, 9) == 0 then
    dropped = dropped + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return dropped
