-- Puts an entry into a group. KEYS[1] is a hash that has for each entry the name
-- of its owner's lease (8 bytes), when it ends (6 bytes, ms; 0: with the lease),
-- and its value. ARGV: member and owner, lease ('': there is none), ms that it
-- lasts (0: as long as the lease), value, ms that the group is kept.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease, ms, kept = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])
if lease == '' and ms == 0 then
  return redis.call('HDEL', KEYS[1], ARGV[1])
end
local ends = 0
if ms > 0 then
  ends = now + ms
  kept = math.max(kept, ms)
end
redis.call('HSET', KEYS[1], ARGV[1], struct.pack('>c8I6', lease .. '        ', ends) .. ARGV[4])
if redis.call('PTTL', KEYS[1]) < kept then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', kept))
end
return 1
