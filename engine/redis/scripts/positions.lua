-- Returns epoch and offset of each topic. ARGV has their classes, KEYS each
-- topic and what is kept of it.

local kept = { o = 0, r = 1, l = 2 }
local results = {}
local k = 0
for i = 3, #ARGV do
  local n = kept[ARGV[i]]
  local t = open(KEYS[k + 1], ARGV[i], { unpack(KEYS, k + 2, k + 1 + n) })
  k = k + 1 + n
  outlast(t.meta, 24.5 * hour)
  results[#results + 1] = t.e
  results[#results + 1] = t.o
end
return results
