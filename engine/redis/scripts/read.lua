-- Returns a page of what is kept of a topic: epoch, offset, whether some is lost,
-- whether more follows, and the events. ARGV: class, epoch and offset after which,
-- how many at most, how many bytes as a rule.

local class, epoch, from, limit, most = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local t = open(KEYS[1], class, { unpack(KEYS, 2) })
outlast(t.meta, 24.5 * hour)

local fresh = epoch == '' and from == 0
local lost = not fresh and epoch ~= t.e
local events, bytes, more = {}, 0, false
if epoch ~= t.e then from = 0 end

-- add is false if the page is full.
local function add(message)
  if #events >= limit or #events > 0 and bytes + #message > most then
    more = true
    return false
  end
  bytes = bytes + #message + 32
  events[#events + 1] = message
  return true
end

local function begin()
  events, bytes = {}, 0
  lost = not fresh
end

local function recoverable()
  local want, count = from + 1, 8
  while true do
    local chunk = redis.call('XRANGE', t.keys[1], string.format('%.0f-0', want), '+', 'COUNT', count)
    for _, entry in ipairs(chunk) do
      local message = entry[2][2]
      local offset, _, ends = struct.unpack('>I7I6I6', message, 14)
      -- What is before a gap, or before what has ended, is not complete.
      if offset > want then begin() end
      want = offset + 1
      if ends <= now then
        begin()
      elseif not add(message) then
        return
      end
    end
    if #chunk < count then break end
    -- As many as the page may still take, by what they were so far.
    count = math.max(8, math.min(256, math.ceil((most - bytes) * #events / (bytes + 1))))
  end
  if want <= t.o then begin() end
end

local function latest()
  local index = 0
  while true do
    local chunk = redis.call('ZRANGE', t.keys[2], string.format('(%.0f', from), '+inf', 'BYSCORE', 'LIMIT', index, 16)
    if #chunk == 0 then return end
    for i, message in ipairs(redis.call('HMGET', t.keys[1], unpack(chunk))) do
      if message and struct.unpack('>I6', message, 27) > now and not add(message) then return end
    end
    index = index + #chunk
  end
end

if class == 'o' then
  lost = epoch ~= t.e or from ~= t.o
elseif class == 'l' then
  latest()
else
  if from > t.o then
    from = 0 -- nobody has given it that
    lost = true
  end
  recoverable()
end
return { t.e, t.o, lost and 1 or 0, more and 1 or 0, events }
