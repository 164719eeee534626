-- Puts a member into a group, which is a sorted set of members by when they end
-- (ms), and drops some of those that have. ARGV: member, ms.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ms = tonumber(ARGV[2])
local ended = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, 64)
if #ended > 0 then redis.call('ZREM', KEYS[1], unpack(ended)) end
redis.call('ZADD', KEYS[1], 'GT', string.format('%.0f', now + ms), ARGV[1])
if redis.call('PTTL', KEYS[1]) < ms + 1000 then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ms + 2000))
end
return 1
