-- Keeps a record in the place of one of this version. KEYS[1] is a version (8
-- bytes) and data. ARGV: the version that is there ('': there is none), what is to
-- be kept, ms. Returns whether it is kept, maybe since an earlier run.

local now = redis.call('GETRANGE', KEYS[1], 0, 7)
if now == string.sub(ARGV[2], 1, 8) then return 1 end
if now ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
