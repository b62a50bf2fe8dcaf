# Runs inside a task whose role has ClientMount, but not ClientWrite.
cat /data/from-us-east-1a
echo "not mine to write" > /data/by-the-reader
