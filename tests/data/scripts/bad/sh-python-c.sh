python3 -c "import os; os.system(chr(105)+chr(100))"
