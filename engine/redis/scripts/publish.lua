-- Keeps events and then sends them: several of one server, or of one slot of a
-- cluster, in order. For each there are in ARGV its class, what names this
-- publication if it has an id (8 bytes), its body, and two numbers or a key; in KEYS
-- its topic, what is kept of that, and its id. Returns for each the head of its
-- message, 0 if its id is that of another publication, or an error in a list.

local opened = {} -- topics, by channel: many events may be of one

local function publish(class, channel, keys, body, a, b)
  local t = opened[channel]
  if not t or t.class ~= class then
    t = open(channel, class, keys)
    opened[channel] = t
  end
  keys = t.keys
  local ttl, ends = 0, 0
  if class == 'r' then ttl = tonumber(b) elseif class == 'l' then ttl = latestTime end
  if ttl > 0 then ends = now + ttl end
  t.o = t.o + 1
  local offset = string.format('%.0f', t.o)
  local head = struct.pack('>Bc12I7I6I6', 1, t.e, t.o, now, ends)
  local message = head .. body
  if class == 'r' then
    redis.call('XADD', keys[1], 'MAXLEN', '~', a, offset .. '-0', 'm', message)
    redis.call('HSET', channel, 'o', offset)
  elseif class == 'l' then
    redis.call('HSET', keys[1], a, message)
    redis.call('ZADD', keys[2], offset, a)
    if redis.call('ZCARD', keys[2]) > latestMost then
      redis.call('HDEL', keys[1], redis.call('ZPOPMIN', keys[2])[1])
    end
    redis.call('HSET', channel, 'o', offset, 'l', string.format('%.0f', ends))
  else
    redis.call('HSET', channel, 'o', offset)
  end
  tend(t, ttl)
  redis.call('SPUBLISH', channel, message)
  return head
end

local function once(id, name, ...)
  local known = id and redis.call('GET', id)
  if known then
    if string.sub(known, 1, 8) == name then return string.sub(known, 9) end -- its answer was lost
    return 0
  end
  local head = publish(...)
  if id then redis.call('SET', id, name .. head, 'PX', 120000) end
  return head
end

local kept = { o = 0, r = 1, l = 2 }
local results = {}
local k = 0
for i = 3, #ARGV, 5 do
  local class, channel, id = ARGV[i], KEYS[k + 1], nil
  local keys = { unpack(KEYS, k + 2, k + 1 + kept[class]) }
  k = k + 1 + kept[class]
  if ARGV[i + 1] ~= '' then
    k = k + 1
    id = KEYS[k]
  end
  local ok, result = pcall(once, id, ARGV[i + 1], class, channel, keys, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
  if not ok then
    opened[channel] = nil -- what it says may not be what is kept
    result = { type(result) == 'table' and result.err or tostring(result) }
  end
  results[#results + 1] = result
end
return results
