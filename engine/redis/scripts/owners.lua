-- Returns the names of leases: of the owners in ARGV ('' where there is none),
-- or owner and name of all.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local names = {}
if #ARGV == 0 then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if struct.unpack('>I6', all[i + 1]) > now then
      names[#names + 1] = all[i]
      names[#names + 1] = string.sub(all[i + 1], 7)
    end
  end
  return names
end
for i, owner in ipairs(ARGV) do
  local lease = redis.call('HGET', KEYS[1], owner)
  names[i] = lease and struct.unpack('>I6', lease) > now and string.sub(lease, 7) or ''
end
return names
