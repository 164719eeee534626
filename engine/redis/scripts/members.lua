-- Returns some members of a group, and where the next ones begin. ARGV: where to
-- begin, of which server that is said ('': of any), how many. Another server counts
-- otherwise: there they begin again.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local server = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
local cursor = ARGV[1]
if ARGV[2] ~= '' and ARGV[2] ~= server then cursor = '0' end
local page = redis.call('ZSCAN', KEYS[1], cursor, 'COUNT', ARGV[3])
local all, members = page[2], {}
for i = 1, #all, 2 do
  if tonumber(all[i + 1]) > now then members[#members + 1] = all[i] end
end
return { page[1], server, members }
