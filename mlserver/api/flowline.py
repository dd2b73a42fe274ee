"""URL map of the FlowLine API, in the order of its document."""

from django.urls import path

from gpus.api.flowline import GpuList, GpuProcesses, GpuSwitchView, SystemLine, SystemUptime
from training.api.flowline.logs import LogFileList, ParsedLog, PlainLogFileList, TextLog
from training.api.flowline.processes import ProcessKill, ProcessList
from training.api.flowline.tasks import Loop, TaskCopyView, TaskCreate, TaskDetail, TaskListView

urlpatterns = [
    # F1-F5
    path("api/gpus", GpuList.as_view()),
    path("api/gpu/<str:gpu_id>/process", GpuProcesses.as_view()),
    path("api/gpu/<str:gpu_id>/switch", GpuSwitchView.as_view()),
    path("api/process", ProcessList.as_view()),
    path("api/process/<str:process_id>/kill", ProcessKill.as_view()),
    # F6-F8
    path("api/task/list", TaskListView.as_view()),
    path("api/task/create", TaskCreate.as_view()),
    path("api/run", Loop.as_view()),
    # F9-F12
    path("api/log/list", LogFileList.as_view()),
    path("api/log/<str:log_file_name>", ParsedLog.as_view()),
    path("api/system/info", SystemLine.as_view()),
    path("api/system/uptime", SystemUptime.as_view()),
    # F13-F17
    path("api/task/<int:task_id>", TaskDetail.as_view()),
    path("api/task/copy", TaskCopyView.as_view()),
    path("api/task/detail/<int:task_id>", TaskDetail.as_view()),
    path("api/task/delete/<int:task_id>", TaskDetail.as_view()),
    # F18, F19
    path("api/logs", PlainLogFileList.as_view()),
    path("api/logs/<str:log_file_name>", TextLog.as_view()),
]
