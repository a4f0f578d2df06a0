"""Cards that stand for something other than one episode: what each shows, and when it is made."""
