-- Renews the lease of an owner. KEYS[1] is a hash that has for each owner when
-- its lease ends (6 bytes, ms) and what names this lease (8 bytes). ARGV: owner,
-- ms, name of a new lease. Returns whether there was one, and its name.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ms = tonumber(ARGV[2])
local held, name = 0, ARGV[3]
local lease = redis.call('HGET', KEYS[1], ARGV[1])
if lease and struct.unpack('>I6', lease) > now then
  held, name = 1, string.sub(lease, 7)
else
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if struct.unpack('>I6', all[i + 1]) <= now then redis.call('HDEL', KEYS[1], all[i]) end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], struct.pack('>I6', now + ms) .. name)
if redis.call('PTTL', KEYS[1]) < ms + 3600000 then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ms + 7200000))
end
return { held, name }
