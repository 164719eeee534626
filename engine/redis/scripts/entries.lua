-- Returns some entries of a group, and where the next ones begin: entries whose
-- time is over are dropped. ARGV: where to begin, how many, ms that the group is
-- kept.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local all, entries = page[2], {}
for i = 1, #all, 2 do
  local ends = struct.unpack('>I6', all[i + 1], 9)
  if ends > 0 and ends <= now then
    redis.call('HDEL', KEYS[1], all[i])
  else
    entries[#entries + 1] = all[i]
    entries[#entries + 1] = all[i + 1]
  end
end
local ttl = redis.call('PTTL', KEYS[1])
if ttl >= 0 and ttl < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return { page[1], entries }
