"""Changes in state of delivery, judged by ``ffm eval cisd``."""
